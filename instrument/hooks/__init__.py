"""Every place where this package changes the interpreter or another module, so that it learns of the program's doings.

No other folder replaces an attribute of a module that is not ours. All hooks of this folder, by module:

| module | replaced or registered | from | until | who could notice |
|---|---|---|---|---|
| imports | `_LoaderBasics.exec_module` of importlib, `_compile_bytecode` | the first instrumenter is installed | the last one is uninstalled | a program that compares these functions |
| main_program | `exec` in the frozen `runpy`, `exec_module` of its loader | the start of the process | never for `exec`: `runpy` may execute other programs; the loader until `runpy` is imported | a program that looks for `exec` in `runpy` |
| main_program | `sys.modules["runpy"]`, `sys.path_importer_cache[script]` | the start of the process, for a script | the script begins | nobody: no code runs in between |
| main_program | `sys.path_importer_cache[script]` in subinterpreters | the start of the interpreter | its first entry of `sys.path` is used | a program that lists that cache before |
| script_code | `sys.stderr` | a script that is not in the cache is compiled a second time | that is done | nobody: no code of the program runs in between |
| exec_calls | nothing: rewritten code evaluates `exchange_code` before such calls | | | |
| forks | `os.register_at_fork`; `__register_atfork` of glibc, if Python is embedded or the program imports ctypes or cffi; `os.fork` on 3.13.0 | the recorder starts | never: there is no way back; they do nothing without a listener. `os.fork`: the recorder stops. glibc: exit | nobody; of `os.fork`: a comparison of functions |
| process_end | an exit handler (`atexit.register`) | the first `at_last` | the end | a program that removes all exit handlers; it is registered again |
| process_end | `os._exit`, `execv`, `execve`, `chroot`, `setuid` and the like, `unshare`, `setns`, in `os` and in `posix` | the recorder starts | the recorder stops | `type()` of these functions |
| signals | `signal`, `getsignal`, `set_wakeup_fd` of `_signal`, `_thread.interrupt_main` | the recorder starts | the recorder stops | a program that compares these functions with copies |
| signals | handlers of SIGTERM, SIGHUP, SIGINT where the program leaves the default; the wake-up file | code is made live | the recorder stops | the system: /proc/self/status lists the handlers |
| signals | the handler of the signal that requests a flush | the recorder starts | never: the signal would end the process | `getsignal` |
| reader_wrappers | functions of numba, pony, cloudpickle, dill, hypothesis and torch by which they get code | one of them is imported | never: live code outlives a measurement, and the libraries keep the functions | a program that compares these functions |
| bytecode_readers | reducers of code in `copyreg` | one of them is imported | never: live code outlives a measurement, and the libraries keep the functions | a program that compares these functions |
| bytecode_readers | `_imp.exec_dynamic`, `_imp.exec_builtin`, from 3.13 on | the first instrumenter is installed | never: the same reason | a program that compares these functions |
| reader_state | nothing: it keeps the wrappers of both | | | |

Other folders change the interpreter only as follows. `guest.own_loader` sets `sys.path_importer_cache`, and
`guest.own_imports` sets `sys.modules`, for this package's own folders and modules. `guest.process_state` registers a callback for forks, which resets locks. `startup` sets an
attribute of `sys` if the program has a module of this package's name. `session` exchanges the code of functions that
exist already. `notebook.magics` replaces `run_code` of one shell of IPython. `record.background` removes its thread from the tables of `threading`. Some settings change for a moment
only, and are always put back. They are the switch interval, garbage collection and the mode of lazy imports.
"""  # noqa: E501
