"""Every hostile template ends in a clear refusal or an ordinary text; who comes next is served, the host goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest
from hostiletemplates import CONTEXT, CORPUS

from overture.model.pages import Page, Piece, Rendered, RenderRefused
from overture.sandbox.rendering.renderer import Renderer

GOOD = Page("good", "Hi", "Dear {{ contact.name }}", "<p>{{ fact.at | date('d MMMM y') }}</p>")
CODES = {"missing_variable", "failed", "too_costly", "too_large", "mjml", "data", "crashed", "too_slow"}


async def pulse(gaps: list[float]) -> None:
    """How long the event loop was away, at its worst."""
    while True:
        before = time.perf_counter()
        await asyncio.sleep(0.005)
        gaps.append(time.perf_counter() - before)


async def test_none_gets_out_and_none_holds_anybody_up():
    """The figures are shown with ``pytest -s``; nothing of them is asserted that a busy machine would break."""
    renderer, gaps, told = Renderer(), list[float](), dict[str, int]()
    heart = asyncio.create_task(pulse(gaps))
    try:
        assert len(CORPUS) >= 100
        for what, field, source in CORPUS:
            bad, good = await asyncio.gather(
                renderer.render(Page("bad", **{field: source}), CONTEXT),
                renderer.render(GOOD, CONTEXT),
                return_exceptions=True,
            )
            assert isinstance(good, Rendered), f"{what}: who came next was not served: {good}"
            assert good.text == "Dear Ada"
            if isinstance(bad, Rendered):
                told["ordinary"] = told.get("ordinary", 0) + 1
                out = f"{bad.subject}{bad.text}{bad.html}{bad.data}"
                assert not any(leak in out for leak in ("root:", "<class", "environ", "OVERTURE")), what
                assert "admin" not in bad.data
                continue
            assert isinstance(bad, RenderRefused), f"{what}: {bad!r}"
            code = bad.code.removeprefix("template.")
            assert code in CODES, f"{what}: {bad}"
            assert len(bad.message) < 700
            assert "s3cret" not in bad.message
            told[code] = told.get(code, 0) + 1
        faults = await renderer.check([Piece("mjml" if f == "mjml" else "syntax", source) for _, f, source in CORPUS])
        assert len(faults) == len(CORPUS)
    finally:
        heart.cancel()
        await renderer.close()
    print(
        f"{len(CORPUS)} templates: {told}; ended the process: {renderer.crashes}; host away {max(gaps) * 1000:.0f} ms"
    )
    assert renderer.crashes >= told["crashed"] + told.get("too_slow", 0)


async def test_a_template_that_is_cut_off_again_and_again_is_left_alone():
    renderer = Renderer()
    bad = Page("bad", text="{{ " + "-" * 30_000 + "1 }}")
    try:
        said: list[str] = []
        for _ in range(5):
            (error,) = await asyncio.gather(renderer.render(bad, CONTEXT), return_exceptions=True)
            assert isinstance(error, RenderRefused)
            said.append(error.message)
        assert renderer.crashes == 3
        assert "3 times in a row" in said[-1]
        assert (await renderer.render(GOOD, CONTEXT)).text == "Dear Ada"
    finally:
        await renderer.close()


async def test_what_took_too_long_is_asked_once_more_before_that_is_believed():
    """A machine that stands still for a moment may be charged to whoever is computing."""
    renderer = Renderer()
    (slow,) = (source for what, _, source in CORPUS if what == "loops that sort")
    try:
        with pytest.raises(RenderRefused) as refused:
            await renderer.render(Page("slow", text=slow), CONTEXT)
        assert refused.value.code == "template.too_slow"
        assert renderer.crashes == 2
        assert (await renderer.render(GOOD, CONTEXT)).text == "Dear Ada"
    finally:
        await renderer.close()


async def test_the_process_that_is_killed_is_replaced_and_nothing_is_lost():
    renderer = Renderer()
    try:
        await renderer.render(GOOD, CONTEXT)
        waiting = [asyncio.create_task(renderer.render(GOOD, CONTEXT)) for _ in range(200)]
        await asyncio.sleep(0)
        assert renderer.pid is not None
        os.kill(renderer.pid, 9)
        assert [each.text for each in await asyncio.gather(*waiting)] == ["Dear Ada"] * 200
    finally:
        await renderer.close()


async def test_a_process_that_stands_still_is_no_fault_of_the_message_that_waits_for_it():
    """As after a machine was paused: the template has computed nothing meanwhile."""
    renderer = Renderer(patience=3.0)
    try:
        await renderer.render(GOOD, CONTEXT)
        assert renderer.pid is not None
        os.killpg(renderer.pid, signal.SIGSTOP)
        assert (await renderer.render(GOOD, CONTEXT)).text == "Dear Ada"
    finally:
        await renderer.close()


async def test_answers_that_were_there_when_this_process_slept_go_to_who_asked():
    renderer = Renderer(patience=1.0)
    names = [f"Ada {n}" for n in range(20)]
    try:
        await renderer.render(GOOD, CONTEXT)
        contexts = [{**CONTEXT, "contact": {"name": name}} for name in names]
        waiting = [asyncio.create_task(renderer.render(GOOD, context)) for context in contexts]
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(time.sleep, 1.5)  # nothing is read meanwhile, and the patience is over
        assert [each.text for each in await asyncio.gather(*waiting)] == [f"Dear {name}" for name in names]
        assert (await renderer.render(GOOD, CONTEXT)).text == "Dear Ada"
    finally:
        await renderer.close()
