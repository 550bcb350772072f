"""Choose the ticks of an axis and write them: linear or logarithmic, at the true values, as the page does."""

from __future__ import annotations

import math
from collections.abc import Sequence

UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def linear_ticks(low: float, high: float, most: int) -> list[float]:
    """Return ticks at multiples of 1, 2 or 5 times a power of ten, at most `most` or a few more."""
    span = high - low
    if not span > 0 or math.isinf(span):
        return [low] if span == 0 else [low, high]
    least = span / max(1, most)
    power = 10.0 ** math.floor(math.log10(least)) if least > 1e-300 else 0.0
    if not power:
        return [low, high]
    step = next((factor * power for factor in (1, 2, 5) if factor * power >= least * (1 - 1e-9)), 10 * power)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    # Twelve digits take away the error of the product: 3 * 0.1 is 0.3.
    return [float(f"{place * step:.12g}") for place in range(first, last + 1)]


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Return ticks for positive values: powers of ten, with 2 and 5 or linear ones if few fit."""
    decades = math.log10(high) - math.log10(low)
    if decades < 0.7:
        return [tick for tick in linear_ticks(low, high, most) if tick > 0]
    factors = (1, 2, 5) if decades * 3 <= most else (1, 3) if decades * 2 <= most else (1,)
    stride = max(1, math.ceil(decades / max(1, most)))
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [float(f"{factor}e{power}") for power in powers if power % stride == 0 for factor in factors]
    return [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]


def write_ticks(ticks: Sequence[float], *, is_log: bool = False) -> list[str]:
    """Write ticks so that neighbours differ, with as few digits as that takes."""
    if is_log and len(ticks) > 1 and max(ticks) / min(ticks) >= 5:
        return [_write_alone(tick) for tick in ticks]
    largest = max(map(abs, ticks), default=0.0)
    step = abs(ticks[1] - ticks[0]) if len(ticks) > 1 else largest
    if math.isinf(step) or (largest and (largest < 1e-3 or largest >= 1e12)):
        return [_write_exponent(tick, step) for tick in ticks]
    size, sign = next(
        ((size, sign) for size, sign in UNITS if largest >= max(size, 1e4) and step >= size / 100), (1.0, "")
    )
    digits = max(0, min(12, -math.floor(math.log10(step / size) + 1e-9))) if step else 0
    return [f"{tick / size:.{digits}f}{sign}".replace("-", "−") if tick else "0" for tick in ticks]


def _write_exponent(tick: float, step: float) -> str:
    if not tick:
        return "0"
    power = math.floor(math.log10(abs(tick)))
    digits = 2 if math.isinf(step) or not step else power - math.floor(math.log10(step) + 1e-9)
    mantissa, exponent = f"{tick:.{max(0, min(6, digits))}e}".split("e")
    return f"{mantissa.replace('-', '−')}e{int(exponent)}"


def _write_alone(tick: float) -> str:
    if tick < 1e-3 or tick >= 1e12:
        mantissa, exponent = f"{tick:e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    size, sign = next(((size, sign) for size, sign in UNITS if tick >= max(size, 1e4)), (1.0, ""))
    return f"{tick / size:.6g}{sign}"
