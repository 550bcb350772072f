"""Whether a person can use what a view shows: read it, press it, reach it by keyboard, hear it read aloud."""

from __future__ import annotations

from tests.web.browser.visits import Visit

STEPS = 40
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
# What has the focus, whether one sees that, and a name that tells it from others.
FOCUSED = """
() => {
    let one = document.activeElement;
    while (one?.shadowRoot?.activeElement) one = one.shadowRoot.activeElement;
    if (!one || one === document.body) return null;
    const ring = (node) => {
        const style = getComputedStyle(node);
        const isOutlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
        return isOutlined || style.boxShadow !== "none";
    };
    const box = one.getBoundingClientRect();
    const host = one.getRootNode().host;
    const seen = [one, one.parentElement, host, host?.parentElement].some((node) => node && ring(node));
    const edits = one.isContentEditable;
    const words = one.ariaLabel ?? one.innerText;
    return {seen, edits, name: `${one.tagName} ${one.className} ${words} ${box.x} ${box.y}`};
}
"""


def find_faults(visit: Visit) -> list[str]:
    """Return what overlaps, is cut off without a way to read it, or scrolls sideways."""
    found: list[str] = visit.page.evaluate(FIND_FAULTS)
    return found


def find_traps(visit: Visit) -> list[str]:
    """Press Tab many times; return the controls that keep the focus or do not show it, or that they are few."""
    before, reached, found = None, set(), set()
    for _ in range(STEPS):
        visit.page.keyboard.press("Tab")
        focused = visit.page.evaluate(FOCUSED)
        if focused is None:
            break
        if focused["edits"]:
            # An editor takes Tab for itself, and gives it back after Escape.
            visit.page.keyboard.press("Escape")
        if focused["name"] == before:
            found.add(f"the focus does not leave {before}")
        elif not focused["seen"]:
            found.add(f"the focus is not seen on {focused['name']}")
        before = focused["name"]
        reached.add(before)
    return sorted(found) if len(reached) >= 8 else [*sorted(found), f"Tab reaches only {sorted(reached)}"]
