"""Figures of servers that took turns, their ratios, and the bounds that these are held to."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

# What was measured in one round, by its name with the unit.
Figures = dict[str, float]
# The rounds of each server, by its name.
Rounds = dict[str, list[Figures]]

Subject = TypeVar("Subject")

# The server that all ratios are of, and the same one as built from another revision.
OWN, BASE = "broker", "base"


class Failed(Exception):
    """A measurement that came to nothing, and why."""


@dataclass(frozen=True)
class Bound:
    value: float
    is_most: bool

    def holds(self, figure: float) -> bool:
        return figure <= self.value if self.is_most else figure >= self.value

    def __str__(self) -> str:
        return f"at {'most' if self.is_most else 'least'} {self.value:g}"


def at_most(value: float) -> Bound:
    return Bound(value, is_most=True)


def at_least(value: float) -> Bound:
    return Bound(value, is_most=False)


def alternating(rounds: int, subjects: dict[str, Subject], run: Callable[[Subject], Figures]) -> Rounds:
    """Runs each of `subjects` once a round. Another one begins each time: none is always the first after a pause."""
    results: Rounds = {name: [] for name in subjects}
    names = list(subjects)
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            results[name].append(run(subjects[name]))
    return results


def median(rounds: list[Figures], figure: str) -> float:
    return statistics.median(row[figure] for row in rounds)


def written(figure: float) -> str:
    """Three digits or more, as a reader compares them."""
    if abs(figure) >= 1000:
        return f"{figure:,.0f}"
    return f"{figure:.1f}" if abs(figure) >= 100 else f"{figure:.2f}"


@dataclass
class Report:
    """Prints figures as they come, and keeps what became of their bounds for the end."""

    section: str = ""
    # What the figures are of that come now.
    title: str = ""
    held: int = 0
    missed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def heading(self, text: str) -> None:
        self.title = f"{self.section}: {text.split(', ')[0]}"
        print(f"\n{self.section}: {text}", flush=True)

    def say(self, text: str) -> None:
        print(f"  {text}", flush=True)

    def table(self, rounds: Rounds) -> None:
        """Medians side by side, a row for each figure."""
        width = 2 + max(10, *(len(name) for name in rounds))
        self.say(f"{'':<18}" + "".join(f"{name:>{width}}" for name in rounds))
        for name in next(iter(rounds.values()))[0]:
            cells = "".join(f"{written(median(rows, name)):>{width}}" for rows in rounds.values())
            self.say(f"{name:<18}{cells}")

    def ratio(self, rounds: Rounds, figure: str, other: str, bound: Bound | None = None, own: str = OWN) -> None:
        """The median of the rounds' ratios to `other`, within what the middle half of them lies, and the bound."""
        label = f"{figure}, {own} ÷ {other}"
        if other == BASE and BASE not in rounds:
            expected = f" ({bound})" if bound else ""
            return self.say(f"{label:<44} not measured{expected}: there is no base build, see BASE in `make help`")
        ratios = [ours[figure] / theirs[figure] for ours, theirs in zip(rounds[own], rounds[other]) if theirs[figure]]
        if not ratios:
            return self.say(f"{label:<44} not measured: nothing was counted for {other}")
        middle, spread = statistics.median(ratios), ""
        if len(ratios) > 1:
            low, _, high = statistics.quantiles(ratios, method="inclusive")
            spread = f"  half of them {low:.3f} to {high:.3f}"
        self.line(label, middle, f"{middle:.3f}{spread}", bound)

    def ratios(self, rounds: Rounds, figure: str, others: dict[str, Bound | None]) -> None:
        for other, bound in others.items():
            self.ratio(rounds, figure, other, bound)

    def value(self, label: str, figure: float, unit: str = "", bound: Bound | None = None) -> None:
        """A figure that is no ratio, with its bound in the same unit."""
        self.line(label, figure, f"{written(figure)} {unit}".rstrip(), bound)

    def line(self, label: str, figure: float, text: str, bound: Bound | None) -> None:
        verdict = ""
        if bound and bound.holds(figure):
            verdict, self.held = f"  {bound}: holds", self.held + 1
        elif bound:
            verdict = f"  {bound}: MISSED"
            self.missed.append(f"{self.title}: {label}: {text.split('  ')[0]}, {bound}")
        self.say(f"{label:<44} {text}{verdict}")

    def end(self) -> None:
        """Says once more what was missed, and what could not be measured."""
        print(f"\n{self.held} bounds hold, {len(self.missed)} are missed")
        for line in self.missed:
            self.say(f"MISSED  {line}")
        for line in self.failed:
            self.say(f"FAILED  {line}")

