"""Search for programs that `trace` and `instrument` count differently, and print the first one, minimised.

    python tests/fuzz.py --examples 10000 --seed 1
    python tests/fuzz.py --compare countcallers --placement line
    python tests/fuzz.py --flow
    python tests/fuzz.py --program failing.py

`strategies.random_program` makes one program for each seed, so a printed seed reproduces its program. Programs run in
forked workers, so a crash of the interpreter is reported like any other difference. A program that differs is reduced
by statements and by expressions, as long as it still differs in the same way.
"""

import argparse
import ast
import concurrent.futures
import faulthandler
import gc
import itertools
import os
import pathlib
import pickle
import random
import re
import resource
import signal
import sys
import time
import trace
import traceback
import warnings

from strategies import FILE_NAME, Program, random_program, run

# A script's own folder is on the path, the folder of the package is not.
sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

PLACEMENTS = "line", "minimal"
COMPARED = "count", "countfuncs", "countcallers"
FLOW = ("flow",)

#: A program that takes longer than this many seconds is reported as a difference.
TIME_LIMIT = 20

#: A worker that takes more bytes than this gets a MemoryError, so that an endless loop does not make the machine swap.
MEMORY_LIMIT = 3 << 30

#: How many programs one fork compares: enough to hide the fork's cost, few enough to lose little to a crash.
BATCH = 50


# -- comparing -------------------------------------------------------------------------------------------------------


def judge(program, placements=PLACEMENTS, compare=COMPARED[:1]):
    """Return "" if both tools agree on *program*, else a text whose first line names the kind of difference."""
    from instrument.trace import Trace

    if compare == FLOW:
        return judge_flow(program)
    for option in compare:
        arguments = {option: 1, "count": option == "count"}
        expected = run(program, trace.Trace, **arguments)
        for placement in placements:
            try:
                actual = run(program, lambda **more: Trace(**more, placement=placement), **arguments)
            except Exception as error:
                kind = f"{type(error).__name__} in instrument, placement {placement}"
                return f"{kind}\n{''.join(traceback.format_exception(error)[-6:])}"
            difference = describe_difference(program, expected, actual)
            if difference:
                return f"{difference[0]}, placement {placement}, {option}\n{difference[1]}"
    return ""


def judge_flow(program):
    """Return "" if the flow counts of *program* are those of its steps and of calls in its tree, else a text like `judge`."""
    from flow.deciding import outcome_differences
    from flow.stepping import differences_in

    try:
        differences = differences_in(program) or outcome_differences(program)
    except Exception as error:
        return f"{type(error).__name__} in flow counts\n{''.join(traceback.format_exception(error)[-6:])}"
    return "\n".join([f"other flow counts: {differences[0].partition(':')[0]}", *differences]) if differences else ""


def describe_difference(program, expected, actual):
    """Return (kind, text) of the difference between two Runs of *program*, or None if there is none."""
    if expected.log != actual.log or expected.n_decisions != actual.n_decisions:
        at = next((i for i, (a, b) in enumerate(zip(expected.log, actual.log)) if a != b), None)
        at = min(len(expected.log), len(actual.log)) if at is None else at
        text = f"step {at}\n  trace       {expected.log[at : at + 3]}\n  instrument  {actual.log[at : at + 3]}"
        return "another outcome", text
    if expected.counts != actual.counts:
        rows = ["  line  trace  instrument"]
        source = [*program.source.splitlines(), ""]
        for name, line in sorted({*expected.counts, *actual.counts}, key=lambda key: (key[0], key[1] or 0)):
            before, after = expected.counts.get((name, line), 0), actual.counts.get((name, line), 0)
            if before != after:
                text = source[line - 1] if name == FILE_NAME and line and line <= len(source) else name
                rows.append(f"{line!s:>6} {before:6} {after:11}  {text}")
        return "other counts", "\n".join(rows)
    if comparable(expected.calledfuncs) != comparable(actual.calledfuncs):
        return "other functions", show_sets(comparable(expected.calledfuncs), comparable(actual.calledfuncs))
    if comparable(expected.callers) != comparable(actual.callers):
        return "other callers", show_sets(comparable(expected.callers), comparable(actual.callers))
    return None


def comparable(keys):
    """Return the *keys* of `calledfuncs` or `callers` that both tools must have, as a set of (caller, callee).

    A caller in a tool's own file gets the same name for both tools. Left out are callees that belong neither to the
    program nor to its helpers.
    """

    def rename(function):
        tool = function[0] == trace.__file__ or os.sep + "instrument" + os.sep in function[0]
        return ("<tool>", "", function[2].rpartition(".")[2]) if tool else function

    pairs = (key if isinstance(key[0], tuple) else (key, key) for key in keys)
    return {(rename(caller), callee) for caller, callee in pairs if callee[0] in (FILE_NAME, "<helpers>")}


def show_sets(expected, actual):
    return f"  only trace       {sorted(expected - actual)}\n  only instrument  {sorted(actual - expected)}"


def in_fork(function, *arguments):
    """Return what *function* returns in a forked child, or a text that says how the child died."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        signal.alarm(TIME_LIMIT)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
        answer = function(*arguments)
        with open(writer, "wb") as stream:
            stream.write(pickle.dumps(answer))
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as stream:
        answer = stream.read()
    _, status = os.waitpid(pid, 0)
    if not answer:
        died = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"status {status}"
        return f"the interpreter died: {died}\n"
    return pickle.loads(answer)


def judge_apart(program, *how):
    """Return the answer of `judge` from a forked process, so that a crash ends that process only."""
    return in_fork(judge, program, *how)


def failing(seeds, size, how, all_of_them=False):
    """Return a list of (seed, verdict) for the first program that differs, or for each one with *all_of_them*."""

    def judge_all():
        differing = []
        for seed in seeds:
            signal.alarm(TIME_LIMIT)
            verdict = judge(random_program(seed, size), *how)
            if verdict:
                differing.append((seed, verdict))
                if not all_of_them:
                    break
        return differing

    differing = in_fork(judge_all)
    if isinstance(differing, list):
        return differing
    # The worker died. Run each program in a fork of its own to find the one that killed it.
    verdicts = ((seed, judge_apart(random_program(seed, size), *how)) for seed in seeds)
    if all_of_them:
        return [(seed, verdict) for seed, verdict in verdicts if verdict]
    one = next(((seed, verdict) for seed, verdict in verdicts if verdict), None)
    return [one or (seeds[0], f"{differing}but only when these run in one process: seeds {seeds[0]} to {seeds[-1]}")]


# -- making smaller --------------------------------------------------------------------------------------------------


def minimise(program, verdict_of, seconds=60):
    """Return (program, verdict) of the smallest Program found with a verdict of the same kind as that of *program*.

    *verdict_of* is called with a Program and returns its verdict, "" if the program does not differ.
    """
    verdict = verdict_of(program)
    kind = kind_of(verdict)
    deadline = time.monotonic() + seconds
    tried = {program}
    improved = True
    while improved:
        improved = False
        for candidate in itertools.chain(smaller_programs(program), redecided_programs(program)):
            if time.monotonic() > deadline:
                break
            if candidate in tried or not compiles(candidate.source):
                continue
            tried.add(candidate)
            smaller_verdict = verdict_of(candidate)
            if smaller_verdict and kind_of(smaller_verdict) == kind:
                program, verdict, improved = candidate, smaller_verdict, True
                break
    return program, verdict


def kind_of(verdict):
    return verdict.split("\n", 1)[0].split(",")[0]


def compiles(source):
    try:
        compile(source, FILE_NAME, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


def smaller_programs(program):
    """Yield copies of *program* with a part removed, in the order of the size of that part, the largest first."""
    lines = program.source.splitlines()
    units = sorted(set(_units(lines)), key=lambda unit: unit[0] - unit[1])
    for start, end in units:
        yield _with_lines(program, [*lines[:start], *lines[end:]])
    for start, end in units:
        margin = len(lines[start]) - len(lines[start].lstrip())
        if lines[start].strip() != "pass":
            yield _with_lines(program, [*lines[:start], " " * margin + "pass", *lines[end:]])
        if end - start > 1:
            inner = [line[4:] if line.startswith(" " * (margin + 4)) else line for line in lines[start + 1 : end]]
            yield _with_lines(program, [*lines[:start], *inner, *lines[end:]])
    for index in range(len(lines)):
        for part in re.split(r"; ", lines[index].strip()) if "; " in lines[index] else ():
            margin = len(lines[index]) - len(lines[index].lstrip())
            yield _with_lines(program, [*lines[:index], " " * margin + part, *lines[index + 1 :]])
            head = re.match(r"\s*\S[^;]*?:(?= )", lines[index])
            if head:
                yield _with_lines(program, [*lines[:index], f"{head[0]} {part}", *lines[index + 1 :]])
    yield from _with_simpler_expressions(program)
    yield Program(re.sub(r"\n\n+", "\n", program.source), program.decisions)
    decisions = program.decisions
    for length in range(1, len(decisions)):
        yield Program(program.source, decisions[:length])
    for index, value in enumerate(decisions):
        for smaller in (0, 1, value % 12, value % 6):
            if smaller < value:
                yield Program(program.source, (*decisions[:index], smaller, *decisions[index + 1 :]))


def redecided_programs(program):
    """Yield copies of *program* without some lines and with other decisions, since removed lines shift the decisions."""
    generator = random.Random(1)
    lines = program.source.splitlines()
    for start, end in sorted(set(_units(lines)), key=lambda unit: unit[0] - unit[1]):
        for _ in range(4):
            decisions = list(program.decisions)
            if generator.randrange(2):
                del decisions[generator.randrange(len(decisions))]
            else:
                generator.shuffle(decisions)
            if decisions:
                yield Program("\n".join([*lines[:start], *lines[end:]]) + "\n", tuple(decisions))


def _with_lines(program, lines):
    return Program("\n".join(lines) + "\n", program.decisions)


def _units(lines):
    """Yield ranges of lines: each line with all lines indented below it, and runs of 2 to 32 lines."""
    for start, line in enumerate(lines):
        if not line.strip():
            continue
        margin = len(line) - len(line.lstrip())
        end = start + 1
        while end < len(lines) and (not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) > margin):
            end += 1
        yield start, end
    for length in (2, 4, 8, 16, 32):
        for start in range(0, len(lines) - length, length):
            yield start, start + length


def _with_simpler_expressions(program):
    """Yield copies of *program* in which 0, or a part of the expression, replaces one expression."""
    source = program.source
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def span(node):
        return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset

    try:
        tree = ast.parse(source)
    except SyntaxError:
        return
    nodes = [node for node in ast.walk(tree) if isinstance(node, (ast.expr, ast.pattern))]
    for node in sorted(nodes, key=lambda node: span(node)[0] - span(node)[1]):
        start, end = span(node)
        inner = [
            source[slice(*span(child))] for child in ast.walk(node) if child is not node and isinstance(child, ast.expr)
        ]
        for text in ["0", *inner, source[start:end].replace("\n    ", " ")]:
            if len(text) < end - start:
                yield Program(source[:start] + text + source[end:], program.decisions)


# -- the command -----------------------------------------------------------------------------------------------------


def read_program(path):
    """Return the Program that `report` has written to *path*."""
    source = pathlib.Path(path).read_text(encoding="utf-8")
    match = re.search(r"^# decisions = \[(.*)\]$", source, re.MULTILINE)
    decisions = tuple(int(value) for value in match[1].split(",")) if match and match[1] else (0,)
    return Program(source, decisions)


def report(program, how, directory):
    """Minimise *program*, print it with its verdict, and write it to a file in *directory*."""
    placements, compare = how
    verdict = judge_apart(program, *how)
    # Minimising with one placement and one option is enough, and faster.
    placements = [name for name in placements if f"placement {name}" in verdict] or placements
    if compare != FLOW:
        compare = [name for name in compare if verdict.split("\n", 1)[0].endswith(name)] or compare
    small, verdict = minimise(program, lambda candidate: judge_apart(candidate, placements, compare))
    pathlib.Path(directory).mkdir(parents=True, exist_ok=True)
    path = pathlib.Path(directory) / f"differs-{sys.version_info[0]}.{sys.version_info[1]}.py"
    path.write_text(f"{small.source}# decisions = {list(small.decisions)}\n", encoding="utf-8")
    print(f"\n{small}\n\n{verdict}\n\nkept: python tests/fuzz.py --program {path}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=10_000, metavar="N", help="judge N programs (default: 10000)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="begin with this program (default: 1)")
    parser.add_argument("--size", type=int, default=60, metavar="N", help="up to N statements in each (default: 60)")
    parser.add_argument("--placement", choices=PLACEMENTS, help="judge one placement only")
    parser.add_argument("--compare", choices=COMPARED, action="append", help="compare results of this option of Trace")
    parser.add_argument(
        "--flow", action="store_true", help="compare flow counts with those of all steps, and with the source"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="work in N processes (default: 1)")
    parser.add_argument("--whole", action="store_true", help="print a program that differs as it is")
    parser.add_argument("--all", action="store_true", help="go on after a difference, and list the seeds that differ")
    parser.add_argument("--program", metavar="FILE", help="judge the program in FILE and make it smaller if it differs")
    parser.add_argument("--keep", default=".", metavar="DIR", help="where to keep what differs (default: here)")
    options = parser.parse_args()
    faulthandler.enable()
    warnings.simplefilter("ignore")
    how = ((options.placement,) if options.placement else PLACEMENTS, options.compare or COMPARED[:1])
    if options.flow:
        how = (("minimal",), FLOW)
    import instrument.trace  # noqa: F401 - imported once here, not in each fork

    # `gc.get_objects`, which finds existing functions, leaves out frozen objects. None of these is a program's.
    gc.collect()
    gc.freeze()

    if options.program:
        program = read_program(options.program)
        verdict = judge_apart(program, *how)
        if not verdict:
            print("both tools agree")
            return 0
        report(program, how, options.keep)
        return 1

    began = time.monotonic()
    judged = failures = 0
    last = options.seed + options.examples
    batches = [range(start, min(start + BATCH, last)) for start in range(options.seed, last, BATCH)]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = pool.map(lambda batch: failing(batch, options.size, how, options.all), batches)
        for batch, differing in zip(batches, results):
            judged += len(batch)
            if sys.stderr.isatty():
                print(
                    f"\r{judged} programs, {judged / (time.monotonic() - began):.0f} a second ", end="", file=sys.stderr
                )
            for seed, verdict in differing:
                failures += 1
                print(f"\nseed {seed}: {verdict}")
                if options.whole:
                    print(random_program(seed, options.size))
                elif not options.all:
                    report(random_program(seed, options.size), how, options.keep)
            if failures and not options.all:
                pool.shutdown(wait=False, cancel_futures=True)
                return 1
    print(f"{judged} programs in {time.monotonic() - began:.0f} s, {failures or 'none'} differ")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
