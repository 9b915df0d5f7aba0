"""Every fact about CPython that differs between 3.11 and 3.15, one named constant each, with its evidence.

The folders decode, flow and rewrite compare no version: they import a constant from here. The evidence is a file and a
function of CPython's sources, an issue of CPython, or an observation. Differences of opcodes that only concern whether
an opcode exists are in the table of `decode.opcodes`.

To support another version of Python: add it to SUPPORTED_VERSIONS, and follow "A new version of Python" in
CONTRIBUTING.md. Read this page from top to bottom, and settle each constant for that version.
"""

from __future__ import annotations

import sys

VERSION = sys.version_info[:2]
#: The versions that rewrite code; on others code runs uncounted. All modules and tests derive the versions from here.
SUPPORTED_VERSIONS = ((3, 11), (3, 12), (3, 13), (3, 14), (3, 15))
SUPPORTED = VERSION in SUPPORTED_VERSIONS

_MICRO_VERSION = sys.version_info[:3]

# Line events ##########################################################################################################

#: 3.11 compares the line of every instruction with that of the one before it (ceval.c: maybe_call_line_trace). Later
#: versions raise events at a fixed set of instructions, the line starts (instrumentation.c: initialize_lines).
ANY_INSTRUCTION_STARTS_A_LINE = VERSION == (3, 11)
#: A JUMP_BACKWARD that stays on one line raises an event for this line, beside the event of its target
#: (instrumentation.c: _Py_call_instrumentation_jump). In 3.11 the step back to the target is the event.
JUMP_BACK_RAISES_LINE_EVENT = VERSION >= (3, 12)
#: The interpreter keeps line - co_firstlineno + 2 in a byte if the code spans fewer than 254 lines. Lines above the
#: `def` line, as hand-made syntax trees have them, wrap around. Observed in 3.13.5 and later, not in 3.13.0.
LINES_WRAP = _MICRO_VERSION >= (3, 13, 1)
#: 3.13.0 keeps line - co_firstlineno - offset // 16 in a signed byte. If that does not fit, only a flag remains: the
#: instruction above is on another line. Steps to such an instruction then raise an event from any line, except that
#: targets of jumps are handled as ever. Targets of exceptions are not (instrumentation.c: LINENO_CHANGE in
#: initialize_lines).
FAR_LINES_ALWAYS_FIRE = (3, 13) <= _MICRO_VERSION < (3, 13, 1)
#: After a call of a Python function that was inlined, f_lasti is at the last inline cache of the call. In 3.12 this
#: code unit has no line, so the next instruction raises a line event even on the same line. `x = c and f()` is two
#: events if `f` is a Python function, and one if it is built in. Properties, `__getitem__` and `__getattribute__`
#: behave so once their instruction is specialised; that is not counted, since it would take a probe in each `a or
#: self.b`.
INLINED_CALL_LOSES_LINE = VERSION == (3, 12)
#: POP_ITER exists, and starts no line (instrumentation.c: initialize_lines).
POP_ITER_STARTS_NO_LINE = VERSION >= (3, 14)
#: `sys.monitoring` exists: tools see branches, and jumps as jumps (PEP 669).
HAS_MONITORING = VERSION >= (3, 12)

# Decoding #############################################################################################################

#: The argument of LOAD_ATTR is shifted by this many bits; the lowest bit then marks the call of a method (bytecodes.c:
#: LOAD_ATTR). LOAD_METHOD did that work in 3.11.
LOAD_ATTR_SHIFT = 1 if VERSION >= (3, 12) else 0
#: The argument of END_ASYNC_FOR is the distance up to its SEND, for sys.monitoring (codegen.c: codegen_async_for).
END_ASYNC_FOR_NAMES_ITS_SEND = VERSION >= (3, 14)
#: The opcodes at the target of an exhausted FOR_ITER that control skips (bytecodes.c: `JUMPBY(oparg + 1)` in FOR_ITER;
#: 3.13 skips the POP_TOP behind END_FOR as well).
SKIPPED_AT_EXHAUSTION = ("END_FOR", "POP_TOP") if VERSION == (3, 13) else ("END_FOR",)
#: CALL_FUNCTION_EX always takes keyword arguments, or NULL in their place. Before, its argument says whether it does
#: (compile.c and codegen.c: codegen_call_helper_impl).
STAR_CALL_PUSHES_KEYWORDS = VERSION >= (3, 14)
#: A call takes the callable first and NULL, or the object of a method, above it. Before, NULL or the method comes first
#: (codegen.c: codegen_call; bytecodes.c: PUSH_NULL).
CALLABLE_IS_BELOW_NULL = VERSION >= (3, 13)
#: PRECALL stands before each CALL (ceval.c).
CALL_NEEDS_PRECALL = VERSION == (3, 11)
#: A subscript is BINARY_OP with this argument (NB_SUBSCR in opcode.h); before, it is BINARY_SUBSCR.
SUBSCRIPT_BINARY_OP = 26 if VERSION >= (3, 14) else -1

# Exceptions ###########################################################################################################

#: The interpreter pushes lasti as an int for a handler that wants it. From 3.14 on lasti is a tagged integer, which
#: must not be copied into Python objects (bytecodes.c: exception_unwind; PyStackRef_TagInt).
LASTI_IS_AN_INT = VERSION <= (3, 13)
#: A stub takes the place of an exception from the newest entry of its traceback instead. This entry names the place
#: where the exception was raised first in the frame; RERAISE, unlike lasti, does not change it.
PLACES_ARE_OF_TRACEBACK = not LASTI_IS_AN_INT
#: A frame may call another one without a call in C. If the other one raises, the handler is looked up one code unit
#: above the calling instruction (bytecodes.c: exception_unwind). Every instruction with inline caches may be
#: specialised to such a call.
CALLERS_ARE_LEFT_ABOVE = VERSION >= (3, 13)
#: An interrupt at a jump back is led to the handler of the instruction above the jump's target. (ceval.c: JUMP_BACKWARD
#: checks for interrupts after JUMPBY, so the error leaves with next_instr at the target.)
INTERRUPTS_ARE_RAISED_ABOVE_TARGET = VERSION <= (3, 12)
#: In warm code two instructions run as one. If the second is a LOAD_FAST without a value, the exception is said to be
#: raised by the first one (ceval.c: LOAD_FAST__LOAD_FAST and the like). Later versions combine no LOAD_FAST that may
#: raise: their compiler emits LOAD_FAST_CHECK
#: for it (flowgraph.c: add_checks_for_loads_of_uninitialized_variables).
PAIRS_MISATTRIBUTE_RAISES = VERSION == (3, 11)
#: An object that is tracked by the garbage collector may start a collection when it is made, in the middle of an
#: instruction (gcmodule.c: _PyObject_GC_Link). Later versions collect at the eval breaker only (gh-97922).
COLLECTS_ANYWHERE = VERSION == (3, 11)

# Generators and awaiting ##############################################################################################

#: If an exception is thrown into an awaited object, the distance of SEND is read without its EXTENDED_ARG (genobject.c:
#: _gen_throw). So this jump must fit in one byte.
SEND_IS_SHORT = VERSION == (3, 11)
#: When a generator ends, its caller is at the code unit above the target of the FOR_ITER or SEND that ran it. Observed.
CALLER_IS_ABOVE_TARGET_OF_ITERATION = VERSION == (3, 12)
#: The bit of RESUME's argument that says: the yield above is in no `try` block, so closing the generator raises nothing
#: in it. Tracing turns that off (gh-140373; genobject.c: gen_close).
RESUME_OUTSIDE_TRY = 0
if _MICRO_VERSION >= (3, 13, 10) and _MICRO_VERSION != (3, 14, 0):
    RESUME_OUTSIDE_TRY = 8 if VERSION >= (3, 15) else 4

# Probes ###############################################################################################################

#: The instructions that take one item from the iterator on top of the stack, and drop item and iterator. FOR_ITER never
#: jumps here, but its target must be the opcode that the version expects. (bytecodes.c: FOR_ITER, END_FOR, POP_ITER.
#: 3.15 iterates over two stack entries.)
ADVANCE_AND_DROP = {
    (3, 11): ("FOR_ITER", "POP_TOP", "POP_TOP"),
    (3, 12): ("FOR_ITER", "END_FOR"),
    (3, 13): ("FOR_ITER", "END_FOR", "POP_TOP"),
    (3, 14): ("FOR_ITER", "END_FOR", "POP_ITER"),
}.get(VERSION, ("PUSH_NULL", "FOR_ITER", "END_FOR", "POP_ITER"))
