"""PlanRows: checks and adds the plans and the counts of probes when databases of data files are merged.

A connection comes in, with the sum as its database `main` and a data file as another one: see `instrument.data.merge`.
"""

from __future__ import annotations

from instrument.errors import DataError
from instrument.model.probe_counts import decoded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sqlite3 import Connection

    from instrument.plans.found_plans import Plans


class PlanRows:
    """The tables `plan` and `probe_counts` of the databases of *connection*; *plans* finds plan files.

    `reasons` says why a plan is not used, by its name.
    """

    def __init__(self, connection: Connection, plans: Plans) -> None:
        self._connection = connection
        self._plans = plans
        self.reasons: dict[object, str] = {}
        connection.create_function("sum_of_probe_counts", 2, _sum_of_probe_counts, deterministic=True)

    def check(self, source: str) -> None:
        """Compare the counts of probes in the database *source* with their plans, as far as these are found.

        So counts in a forged file cannot spoil those of other files. Raise DataError if they do not fit.
        """
        for (name,) in self._connection.execute(f"SELECT DISTINCT plan FROM {source}.probe_counts").fetchall():
            try:
                query = f"SELECT content FROM {source}.plan WHERE name = ?"
                for (content,) in self._connection.execute(query, (name,)):
                    self._plans.add(name, content)
                plan = self._plans.plan(name)
            except DataError as error:
                self.reasons.setdefault(name, f"{error}")
                continue
            for (counts,) in self._connection.execute(
                f"SELECT counts FROM {source}.probe_counts WHERE plan = ?", (name,)
            ):
                plan.counts_in(counts)

    def add(self, source: str) -> None:
        """Add the plans that the counts of probes in the database *source* need, and that the sum lacks."""
        lacks = f"SELECT DISTINCT plan FROM {source}.probe_counts WHERE plan NOT IN (SELECT name FROM main.plan)"
        for (name,) in self._connection.execute(lacks).fetchall():
            try:
                self._plans.plan(name)
            except DataError as error:
                self.reasons.setdefault(name, f"{error}")
                continue
            self.reasons.pop(name, None)  # another data file may have lacked the plan
            row = name, self._plans.content(name)
            self._connection.execute("INSERT INTO main.plan (name, content) VALUES (?, ?)", row)

    def leave_out(self) -> None:
        """Remove the counts of probes whose plan the sum lacks, and note that branches of their files are not known."""
        lacks = "FROM main.probe_counts WHERE plan NOT IN (SELECT name FROM main.plan)"
        insert = "INSERT OR IGNORE INTO main.without_probe_counts (part, file)"
        self._connection.execute(f"{insert} SELECT part, file {lacks}")
        self._connection.execute(f"DELETE {lacks}")


def _sum_of_probe_counts(one: bytes, other: bytes) -> bytes:
    """Return the sum of two encoded ProbeCounts of the same plan, which were checked."""
    total = decoded(one)
    total.add_all(decoded(other))
    return total.encoded()
