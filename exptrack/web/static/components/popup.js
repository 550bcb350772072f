/**
 * A small window beside the control that opened it. Escape and a click elsewhere close it; the focus returns.
 * Invariant: it lies above everything, whatever clips or scrolls around its anchor.
 */
import { html, useLayoutEffect, useRef } from "../vendor/ui.js";

const GAP = 4;

export function Popup({ anchor, onClose, label, role = "dialog", children }) {
    const box = useRef(null);
    useLayoutEffect(() => {
        const own = box.current;
        own.showPopover();
        place(own, anchor.getBoundingClientRect());
        const first = own.querySelector("[autofocus], input, button, [tabindex]");
        (first ?? own).focus();
        return () => {
            if (own.contains(document.activeElement)) anchor.focus?.();
        };
    }, []);
    const onToggle = (event) => event.newState === "closed" && onClose();
    const onKeyDown = (event) => {
        if (event.key === "Escape") {
            event.stopPropagation();
            onClose();
        }
    };
    return html`<div ref=${box} class="popup" popover="auto" role=${role} aria-label=${label}
        onToggle=${onToggle} onKeyDown=${onKeyDown} onClick=${(event) => event.stopPropagation()}
        onDblClick=${(event) => event.stopPropagation()}>${children}</div>`;
}

/** Puts the box below its anchor, or above it if there is no room, and within the window. */
function place(box, at) {
    const { width, height } = box.getBoundingClientRect();
    const below = at.bottom + GAP + height <= innerHeight;
    box.style.left = `${Math.max(Math.min(at.left, innerWidth - width - GAP), GAP)}px`;
    box.style.top = `${below ? at.bottom + GAP : Math.max(at.top - GAP - height, GAP)}px`;
}
