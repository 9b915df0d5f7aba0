"""Tells which tests a change of the sources can affect, from counts of each test in an earlier run.

The counts of each test come in, the record of the test run, and the files of the project as they are now. A verdict
goes out: for each affected test the reasons, or the reasons why all tests must run.

A test is affected if one of these rules holds. Code "has changed" if its function, class body or module has
(`units`): its own statements, or the headers of the definitions in it.

1. The test failed when the counts were saved, or it is not in the record.
2. The test, in its setup, call or teardown, ran code that has changed. Its child processes belong to it.
3. Changed code of a module or class body runs once, in an import. It affects each test whose test module or
   conftest files may import the file (`imports`). It also affects each test that ran any code of the file, or code of
   a file that may import it.
4. Changed code that ran in the collection affects the tests that rule 3 names for its file. If it ran in a fixture of
   a wider scope, it affects all tests below the place of the fixture. If it ran at the start or the end, it affects
   all tests.
5. A test may use a result that an earlier test computed and that was kept: in a cache, or as a lazily made object. A
   function is taken as a cache if it may call the changed code, and may also skip the call. It must store in an object
   that outlives tests (`kept`). If it ran in a test together with the changed code, it affects each later test of the
   process that ran it.

All tests are affected if the effect is not known:

- A file without counts has changed that is no Python source, or that nothing imports by name.
- A changed file may be imported by name only at run time: no test module reaches it by import statements.
- Changed code ran uncounted, or was given out; counts are missing, or processes still run.
- Module-level code has changed in a source that changes objects of other modules when it is imported.
- A hook of pytest has changed that sees the tests of other folders, such as `pytest_collection_modifyitems`.
- The version of Python, the installed distributions, or the options of pytest are others.
- git does not know the commit that the counts were saved at.

The effects of these are not known:

- the order of tests, if one test changes a state by one function that another test reads by another one
- line numbers, and the text of a source, if a test reads them
- files outside of the repository, and files that git ignores
- the environment, the network, the clock, and processes that are not counted
"""
