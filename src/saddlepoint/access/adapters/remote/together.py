"""Several requests at a time, at most; what is answered is kept, whatever else fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

Job = TypeVar("Job")
Answer = TypeVar("Answer")


class Here(Executor):
    """Runs at once, in the thread that asks: a stop by hand stops there."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        """A future that is done."""
        future: Future[Any] = Future()
        try:
            future.set_result(call(*args, **options))
        except Exception as error:
            future.set_exception(error)
        return future


def together(
    jobs: Iterable[Job],
    ask: Callable[[Job], Answer],
    keep: Callable[[Answer], None],
    forbids: Callable[[list[Job]], Exception | None],
    most: int,
) -> None:
    """``keep(ask(job))`` for each job, at most ``most`` of them under way; ``keep`` runs in this thread.

    Nothing new begins once one failed, or ``forbids`` (those under way and the next one) says why not.

    Raises:
        Exception: the first failure, when what was under way is over.

    >>> found = []
    >>> together([3, 1, 2], lambda n: n * n, found.append, lambda some: None, most=2)
    >>> sorted(found)
    [1, 4, 9]
    """
    waiting, flying = iter(jobs), dict[Future[Answer], Job]()
    failed: BaseException | None = None

    def begin(workers: Executor) -> None:
        nonlocal failed
        while failed is None and len(flying) < most and (job := next(waiting, None)) is not None:
            failed = forbids([*flying.values(), job])
            if failed is None:
                flying[workers.submit(ask, job)] = job

    def end(done: Future[Answer]) -> None:
        nonlocal failed
        del flying[done]
        if (error := done.exception()) is not None:
            failed = failed or error
        else:
            keep(done.result())

    try:
        with ThreadPoolExecutor(most) if most > 1 else Here() as workers:
            begin(workers)
            while flying:
                for done in wait(flying, return_when=FIRST_COMPLETED).done:
                    end(done)
                begin(workers)
    finally:  # after a stop by hand something may have been answered in the meantime
        for done in [one for one in flying if one.done()]:
            end(done)
    if failed is not None:
        raise failed
