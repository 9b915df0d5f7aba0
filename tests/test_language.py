"""The prose and the names of the package and of its tests: those of the ten rules that a machine can check.

Checked are docstrings, comments, names that are bound, and README. The file language_violations.txt says how many
violations a file still has: long sentences, phrases, names. The numbers only shrink.

    python tests/test_language.py             print the numbers as they are now
    python tests/test_language.py FILE …      print each violation in these files
    python tests/test_language.py --write     write the numbers to language_violations.txt
"""

import ast
import functools
import io
import re
import sys
import tokenize
from pathlib import Path

import pytest

# The tests read all sources.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]

#: The rule is 20 words. A machine also counts enumerations, quotations and numbers, so it allows some more.
MOST_WORDS_OF_A_SENTENCE = 25

#: Turns of phrase that hide the subject, or that make a person of code.
PHRASES = re.compile(
    r"\bwhat\b|\bthat which\b|\bthose (?:that|which)\b|\bis told\b|\bare told\b|\blets? go\b|\bhand(?:s|ed)? over\b|"
    r"\bbe told\b|\bof ours\b",
    re.IGNORECASE,
)


def python_files():
    """Return the paths of all modules of the package and of its tests, without the programs that tests run."""
    files = [*(ROOT / "instrument").rglob("*.py"), *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")]
    files += [*(ROOT / "benchmarks" / "peers").glob("*.py"), *(ROOT / "benchmarks" / "suites").rglob("*.py")]
    return sorted(file for file in files if not {"programs", "golden"} & set(file.parts))


def relative(file):
    return file.relative_to(ROOT).as_posix()


def nodes_of(tree):
    """Yield all nodes of *tree*, as `ast.walk` does in twice the time."""
    stack = [tree]
    while stack:
        node = stack.pop()
        yield node
        for value in vars(node).values():
            if isinstance(value, list):
                stack.extend(item for item in value if isinstance(item, ast.AST))
            elif isinstance(value, ast.AST):
                stack.append(value)


@functools.cache
def said_and_bound(file):
    """Return two sorted lists: (line, docstring), with line 0 for that of the module; and (line, name that is bound).

    Names are bound to functions, classes, parameters, variables and attributes.
    """
    docstrings, names = [], []
    for node in nodes_of(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                docstrings.append((getattr(node, "lineno", 0) and node.body[0].lineno, text))
            if not isinstance(node, ast.Module):
                names.append((node.lineno, node.name))
        elif isinstance(node, ast.arg):
            names.append((node.lineno, node.arg))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.append((node.lineno, node.id))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.append((node.lineno, node.attr))
    return sorted(docstrings), sorted(names)


# -- prose -----------------------------------------------------------------------------------------------------------


def comments(text):
    """Yield (line, text) for each comment of *text*; comments on lines that follow each other are one."""
    block, start, last = [], 0, None
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        said = token.string.lstrip("#: ").rstrip("#-= ")
        stands_alone = not token.line[: token.start[1]].strip()
        if block and (last != token.start[0] - 1 or not stands_alone):
            yield start, "\n".join(block)
            block = []
        if not block:
            start = token.start[0]
        block.append(said)
        last = token.start[0]
    if block:
        yield start, "\n".join(block)


def sentences(text):
    """Yield the sentences of *text*. Code, and each item of a list or table, is a sentence of its own.

    A quotation or code in backticks is one word.
    """
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    text = re.sub(r"`[^`]*`|\"[^\"]{0,80}\"|\[[^]]{0,200}\](\([^)]*\))?", "CODE", text)
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:[-*|#>]|\d+\.|\w+ +- |    ))", text):
        yield from re.split(r"(?<=[.?!])[)\"']*\s+(?=[^a-z])", " ".join(paragraph.split()))


def n_words(sentence):
    if sentence.lstrip().startswith(("|", "#")):
        return 0
    return sum(any(map(str.isalnum, word)) for word in sentence.split())


def texts(file):
    """Yield (line, text) for all prose in *file*."""
    if file.suffix == ".md":
        yield 1, file.read_text(encoding="utf-8")
        return
    yield from said_and_bound(file)[0]
    yield from comments(file.read_text(encoding="utf-8"))


@functools.cache
def prose(file):
    """Return a list of (line of the text, sentence) for each sentence in *file*."""
    return [(line, sentence) for line, text in texts(file) for sentence in sentences(text)]


def long_sentences(file):
    """Yield (line, sentence) for each sentence of *file* that is too long."""
    for line, sentence in prose(file):
        if n_words(sentence) > MOST_WORDS_OF_A_SENTENCE:
            yield line, sentence


def phrases(file):
    """Yield (line, sentence) for each sentence of *file* with one of the PHRASES."""
    for line, sentence in prose(file):
        if PHRASES.search(sentence):
            yield line, sentence


# -- names -----------------------------------------------------------------------------------------------------------


@functools.cache
def words_not_to_use():
    """Return a dict from each word that the glossary replaces, as the parts of a name, to the word that it prefers."""
    words = {}
    for row in (ROOT / ".github" / "GLOSSARY.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in row.split("|")[1:-1]]
        if len(cells) == 3 and cells[2] not in ("", "not", "---"):
            for word in cells[2].split(","):
                if re.fullmatch(r'"?\w+( \w+)?"?', word.strip()):
                    words[tuple(word.strip(' "').split())] = cells[0]
    return words


@functools.cache
def better_words(name):
    """Return the better words for those of *name* that the glossary replaces."""
    parts, replaced = parts_of(name), words_not_to_use()
    runs = [parts[at : at + n] for at in range(len(parts)) for n in range(1, max(map(len, replaced)) + 1)]
    return {run: replaced[run] for run in runs if run in replaced}.values()


def parts_of(name):
    """Return the words that *name* is made of, in lower case."""
    return tuple(part.lower() for part in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name))


def replaced_names(file):
    """Yield (line, name and better word) for each name in *file* that has a word which the glossary replaces."""
    if file.suffix == ".md":
        return
    for line, name in said_and_bound(file)[1]:
        for better in better_words(name):
            yield line, f"{name}: {better}"


# -- the numbers -----------------------------------------------------------------------------------------------------

CHECKS = (long_sentences, phrases, replaced_names)
NUMBERS = Path(__file__).with_name("language_violations.txt")


def violations():
    """Return a dict from path to the numbers of violations that each of CHECKS finds, for files that have any."""
    numbers = {}
    for file in [*python_files(), ROOT / "README.md"]:
        counts = tuple(len(list(check(file))) for check in CHECKS)
        if any(counts):
            numbers[relative(file)] = counts
    return numbers


def known_violations():
    """Return the numbers that NUMBERS holds, in the form of `violations`."""
    rows = (line.rsplit(None, len(CHECKS)) for line in NUMBERS.read_text(encoding="utf-8").splitlines())
    return {path: tuple(map(int, counts)) for path, *counts in rows}


def lines_of(numbers):
    """Return the text that NUMBERS holds for *numbers*."""
    return "".join(f"{path} {' '.join(map(str, counts))}\n" for path, counts in numbers.items())


def test_prose_and_names_get_no_worse():
    """No file has more violations than language_violations.txt says, nor fewer: then that file is to be written anew."""
    known, found = known_violations(), violations()
    none = (0,) * len(CHECKS)
    both = {path: (known.get(path, none), found.get(path, none)) for path in known.keys() | found.keys()}
    worse = {path: pair for path, pair in both.items() if any(now > before for before, now in zip(*pair))}
    better = {path: pair for path, pair in both.items() if pair[0] != pair[1] and path not in worse}

    assert not worse, "path: (known, found); `python tests/test_language.py FILE` shows the violations"
    assert not better, "these files have become better: run `python tests/test_language.py --write`"


def test_each_module_has_a_header():
    """Each module of the package and of its tests begins with a docstring."""
    lacking = [relative(file) for file in python_files() if 0 not in dict(said_and_bound(file)[0])]

    assert lacking == []


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        NUMBERS.write_text(lines_of(violations()), encoding="utf-8")
    for name in sys.argv[1:] if sys.argv[1:] != ["--write"] else ():
        for check in CHECKS:
            for line, text in check(Path(name).absolute()):
                print(f"{name}:{line}: {check.__name__}: {text}")
    if not sys.argv[1:]:
        print(lines_of(violations()), end="")
