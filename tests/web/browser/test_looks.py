"""At the least width nothing overlaps, is cut off without a way to read it, or scrolls sideways."""

from __future__ import annotations

import pytest

from tests.web.browser.archives import Contents
from tests.web.browser.views import VIEWS
from tests.web.browser.visits import Visit

# Text and controls in sight; returns what a person could not read or press.
FIND_FAULTS = """
() => {
    const faults = [];
    const text = (one) => (one.innerText || one.value || one.ariaLabel || "").slice(0, 40);
    const name = (one) => `${one.tagName.toLowerCase()}.${one.className} "${text(one)}"`;
    const root = document.documentElement;
    if (root.scrollWidth > root.clientWidth) faults.push(`the page scrolls sideways to ${root.scrollWidth}`);
    const shown = (one) => one.checkVisibility({opacityProperty: true, visibilityProperty: true});
    const controls = [...document.querySelectorAll(
        "button, a[href], input, select, textarea, h1, h2, h3, label, dt, dd, th, td, [role=columnheader]")]
        .filter((one) => shown(one) && !one.closest(".skip, .unseen, [aria-hidden=true]"));
    const scrolls = (one) => {
        for (let up = one.parentElement; up; up = up.parentElement) {
            const {overflowX, overflowY} = getComputedStyle(up);
            if (up !== document.body && /auto|scroll|hidden|clip/.test(overflowX + overflowY)) return up;
        }
        return null;
    };
    for (const one of controls) {
        const style = getComputedStyle(one);
        const isCut = one.clientWidth > 0 && one.scrollWidth > one.clientWidth + 1 && style.display !== "inline"
            && /hidden|clip/.test(style.overflowX) && style.textOverflow !== "ellipsis";
        if (isCut && one.tagName !== "INPUT") faults.push(`cut: ${name(one)}`);
        const box = one.getBoundingClientRect();
        if (box.width && box.right > innerWidth + 1 && !scrolls(one)) faults.push(`outside: ${name(one)}`);
    }
    // Two controls of which one covers the middle of the other.
    const pressed = controls.filter((one) => one.matches("button, a[href], input, select, textarea"));
    for (const one of pressed) {
        const box = one.getBoundingClientRect();
        const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
        if (box.width === 0 || x < 0 || y < 0 || x >= innerWidth || y >= innerHeight) continue;
        const frame = scrolls(one)?.getBoundingClientRect();
        if (frame && (x < frame.left || x > frame.right || y < frame.top || y > frame.bottom)) continue;
        const top = document.elementFromPoint(x, y);
        if (!top || one.contains(top) || top.contains(one) || top.closest("label")?.control === one) continue;
        faults.push(`covered: ${name(one)} by ${name(top)}`);
    }
    return [...new Set(faults)];
}
"""


@pytest.mark.parametrize("name", VIEWS)
def test_at_the_least_width_everything_can_be_read_and_pressed(
    name: str, visit: Visit, contents: Contents
) -> None:
    view = VIEWS[name]
    page = visit.open(view.address(contents), view.shown)
    assert page.evaluate(FIND_FAULTS) == []


def test_the_search_for_faults_bites(visit: Visit, contents: Contents) -> None:
    page = visit.open(VIEWS["file"].address(contents), VIEWS["file"].shown)
    page.evaluate(
        """() => {
            const cover = document.createElement("h3");
            cover.textContent = "cover";
            Object.assign(cover.style, {position: "fixed", inset: "0", width: "5000px", background: "red"});
            document.body.append(cover);
        }"""
    )
    found = page.evaluate(FIND_FAULTS)
    assert any("covered" in one for one in found)
    assert any("outside" in one for one in found)
