"""Has notes taken of where a Python process is, one each few milliseconds of user time, from one SIGUSR2 to the next.

Python imports a module of this name by itself where PYTHONPATH has one; `bench.samples` sets both. The notes are in the
folder that BENCH_SAMPLES names, a file for each process, called by its id.

The kernel sends the signal to the thread that was running when the time was over, and faulthandler writes that thread's
stack from within the signal handler: nobody waits for the interpreter to be free, so a C function that takes long is
seen as what it is, time of the line that called it. What the collector of garbage does is no line's: it is marked.
"""

import faulthandler
import gc
import os
import signal

#: No divisor of what the relay's own timers are multiples of. The kernel rounds it up to its own tick.
_SECONDS = 0.0037


def _take_notes(folder: str) -> None:
    file = os.open(f"{folder}/{os.getpid()}", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def mark(phase: str, _: dict[str, int]) -> None:
        os.write(file, b"collecting\n" if phase == "start" else b"collected\n")

    def turn(*_: object) -> None:
        if signal.getitimer(signal.ITIMER_VIRTUAL)[1]:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            gc.callbacks.remove(mark)
            return
        gc.callbacks.append(mark)
        signal.setitimer(signal.ITIMER_VIRTUAL, _SECONDS, _SECONDS)

    # With nothing before it in the chain but "ignore it": a signal during the interpreter's last moments ends nothing,
    # and only a chained handler leaves errno as it was, which libuv relies on.
    signal.signal(signal.SIGVTALRM, signal.SIG_IGN)
    faulthandler.register(signal.SIGVTALRM, file, all_threads=False, chain=True)
    signal.signal(signal.SIGUSR2, turn)


if "BENCH_SAMPLES" in os.environ:
    _take_notes(os.environ["BENCH_SAMPLES"])
