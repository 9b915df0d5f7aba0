"""Tests of instrument/diagnosis/interpreters.py: the interpreter that the first lines of a script name."""

from instrument.diagnosis.interpreters import python_of_script, shebang_of


def test_the_interpreter_in_a_script_for_a_shell_is_found(tmp_path):
    """Installers write such scripts if the path of the interpreter is long, relative, or has a space."""
    script = tmp_path / "a b" / "tool"
    script.parent.mkdir()
    for line, words in (
        ("'''exec' /x/python \"$0\" \"$@\"", ["/x/python"]),
        ("'''exec' '/x y/python' -I \"$0\" \"$@\"", ["/x y/python", "-I"]),
        ('"exec" "/x y/python" "$0" "$@"', ["/x y/python"]),
        (
            '\'\'\'exec\' "$(dirname -- "$(realpath -- "$0")")"/\'python3\' "$0" "$@"',
            [f"{script.parent}/python3"],
        ),
        ("exec /x/python prog.py", ["/bin/sh"]),
        ("'", ["/bin/sh"]),
    ):
        script.write_text(f"#!/bin/sh\n{line}\n' '''\n")
        assert shebang_of(str(script)) == words
        assert python_of_script(str(script)) == (None if words == ["/bin/sh"] else words)
