"""Errors a person can act on: what was found, why it matters, what to do. None carries a value from a row.

Every code has a paragraph in docs/troubleshooting.md, and every class its exit code:
10 declarations, 20 sources, 30 rules, 40 engine, 50 the lake itself, 60 privacy, 70 questions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

LISTED = 8  # names in a message that says what is known


@dataclass(frozen=True)
class Mistake:
    """One thing in the declarations that does not hold together."""

    code: str
    where: str  # file:line
    found: str
    why: str
    fix: str

    def __str__(self) -> str:
        return f"{self.code} {self.where}: {self.found}\n    {self.why}\n    {self.fix}"


class LakeError(Exception):
    """Base class, and the only hierarchy in the code. `code` has a page; `exit_code` is the CLI's."""

    code = "LAKE-000"
    exit_code = 1
    why = "This should not happen."

    def __init__(self, found: str, fix: str) -> None:
        self.found, self.fix = found, fix
        super().__init__(f"{self.code} {found}\n    {self.why}\n    {fix}")


class DeclarationsRefused(LakeError):
    """Nothing has been read or written. Every mistake is here, so that one pass mends them all."""

    code = "LAKE-100"
    exit_code = 10

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        count = f"{len(self.mistakes)} mistake{'s' if len(self.mistakes) > 1 else ''}"
        Exception.__init__(self, "\n\n".join([f"{self.code} {count} in the declarations.", *map(str, self.mistakes)]))


class ProjectMissing(LakeError):
    code = "LAKE-121"
    exit_code = 10
    why = "A project is a folder with a lake.yml; everything else is found from there."


class HospitalsMissing(LakeError):
    code = "LAKE-125"
    exit_code = 10
    why = "A following day changes hospitals that `carelake synth` made, one day after the other."


class DefectUnknown(LakeError):
    code = "LAKE-143"
    exit_code = 10
    why = "What is planted must be known by name and number, or nothing could be proven by it."


class RootUnfit(LakeError):
    code = "LAKE-126"
    exit_code = 10
    why = "Tables would not be found there again, or be found by those who may not read them."


class SettingMissing(LakeError):
    code = "LAKE-130"
    exit_code = 10
    why = "Connections and secrets are never written into declarations; they come from the secret provider."


class SettingUnfit(LakeError):
    code = "LAKE-131"
    exit_code = 10
    why = "What is made with a wrong key can never be traced back."


class SourceFailed(LakeError):
    """A feed could not be read. Its watermark has not moved, and the other feeds went on."""

    code = "LAKE-200"
    exit_code = 20
    why = "Nothing of this extraction was kept, and the watermark has not moved: the next run reads it again."


class SourceUnreachable(SourceFailed):
    code = "LAKE-201"
    why = "Without a connection there is nothing to read. The other feeds went on, and the watermark has not moved."


class SourceDenied(SourceFailed):
    code = "LAKE-202"
    why = "Log-ins are not repeated, since databases lock accounts that fail too often."


class LoginDenied(SourceDenied):
    """The log-in itself, and not the right to one table."""

    def __init__(self, who: str) -> None:
        fix = "Check user and password; it was tried once."
        super().__init__(f"{who}: the database does not let this user in.", fix)


class SourceTableMissing(SourceFailed):
    code = "LAKE-203"
    why = "A table that is not there, or that this user may not see, cannot be told from an empty one."


class SourceColumnMissing(SourceFailed):
    code = "LAKE-204"
    why = "A column that silently turned empty would look like one that is empty in truth."


class SourceTypeChanged(SourceFailed):
    code = "LAKE-205"
    why = "A column that changes from number to text or back breaks everything that is computed from it."


class SourceShrank(SourceFailed):
    """Fewer rows arrived than the source counted."""

    code = "LAKE-206"
    why = "Rows that are lost on the way are lost for good once the watermark has moved, so it has not."


class SourceUrlUnknown(SourceFailed):
    code = "LAKE-207"
    why = "The URL's scheme says which database it is."


class SourceWatermarkUnfit(SourceFailed):
    code = "LAKE-208"
    why = "An extraction that begins at the wrong place leaves rows out, and nothing would show it."


class SourceNameTaken(SourceFailed):
    code = "LAKE-209"
    why = "In bronze a column has a name of its own: _lake_ begins CareLake's, and upper and lower case are one."


class FileEmpty(SourceFailed):
    code = "LAKE-211"
    why = "An empty file is more often a broken delivery than a month without rows. It was left where it is."


class FileTruncated(SourceFailed):
    code = "LAKE-212"
    why = "What is missing at its end cannot be told from what was never sent. It was left where it is."


class FileNotATable(SourceFailed):
    code = "LAKE-213"
    why = "Read as a table it would give rows that nobody sent. It was left where it is."


class FileHeaderMissing(SourceFailed):
    code = "LAKE-214"
    why = "Without its header the columns would have to be guessed. It was left where it is."


class FileLineTooLong(SourceFailed):
    code = "LAKE-215"
    why = (
        "A line of that length is most often a broken quote, and swallows the rows behind it. It was left where it is."
    )


class FileHeaderDrifted(SourceFailed):
    code = "LAKE-216"
    why = "The feed's contract does not let its columns change unseen."


class FileControlBroken(SourceFailed):
    code = "LAKE-217"
    why = "The sender counted differently from what arrived. It was left where it is, and nothing of it was loaded."


class FileEncodingUnknown(SourceFailed):
    code = "LAKE-218"
    why = "Read in the wrong encoding, names and codes change without an error. It was left where it is."


class FileOutside(SourceFailed):
    code = "LAKE-219"
    why = "Whoever may put files into the landing folder could so have any file of this machine read."


class ReferenceUnavailable(SourceFailed):
    code = "LAKE-221"
    why = "The last good copy of this code set stays in use; without one, what depends on it is unknown, never zero."


class RuleBroken(LakeError):
    """A `stop` rule failed. Counts only: the rows themselves stay in bronze."""

    code = "LAKE-301"
    exit_code = 30

    def __init__(self, table: str, rule: str, because: str, broken: int, of: int) -> None:
        self.why = f"The rule exists because {because}."
        super().__init__(
            f"{table}: {broken:,} of {of:,} rows break '{rule}'.",
            "Nothing of the load was refined; it waits in bronze. Mend the source or the rule, and run again.",
        )


class SetRuleBroken(LakeError):
    """A set rule that stops failed. The rows stand in silver; readers do not see them."""

    code = "LAKE-302"
    exit_code = 30

    def __init__(self, table: str, rule: str, because: str, source: str, broken: int, of: int) -> None:
        self.why = f"The rule exists because {because}."
        super().__init__(
            f"{table}: {broken:,} of {of:,} rows of {source} break '{rule}'.",
            "Readers stay at the last good release. `carelake quality --rule` names the rows: mend them in the source,"
            " or say with `tolerated` what share of rows may break it, and run again.",
        )


class ReleaseUnknown(LakeError):
    code = "LAKE-303"
    exit_code = 30
    why = "A release is only as good as the table versions that it names."


class ReleaseNotHeld(LakeError):
    code = "LAKE-304"
    exit_code = 30
    why = "Only a rollback holds what runs would release."


class RepairRefused(LakeError):
    """Nothing was landed: corrections are made together or not at all."""

    code = "LAKE-320"
    exit_code = 30
    why = "Nothing was taken, so that the same file or command can be mended and given again."

    def __init__(
        self, found: str, fix: str = "`carelake quarantine list --rows` shows the ids of all that wait."
    ) -> None:
        super().__init__(found, fix)


class RestoreRefused(LakeError):
    """A table cannot be begun anew as it was asked."""

    code = "LAKE-330"
    exit_code = 30
    why = "Nothing was changed: a table is set back as a whole, or not at all."


class EngineFailed(LakeError):
    """An engine stopped. Its own words are not repeated: they quote the value that it stumbled over."""

    code = "LAKE-401"
    exit_code = 40
    why = "Nothing was written: a verb happens whole or not at all."

    def __init__(self, verb: str, what: str, *, lacks_memory: bool = False) -> None:
        self.lacks_memory, fix = lacks_memory, "Most often a value is not of its column's type: rules count such rows."
        if lacks_memory:
            fix = "It went to disk, and still had too little memory: raise `memory` in lake.yml, or let Spark do it."
        super().__init__(f"the engine stopped in '{verb}' with {what}.", fix)


class LakeFull(LakeError):
    code = "LAKE-501"
    exit_code = 50
    why = "What was being written is not there; what was there before is as it was."


class LakeBusy(LakeError):
    code = "LAKE-502"
    exit_code = 50
    why = "Two at once would undo each other's work, or do it twice."


class LakeDamaged(LakeError):
    code = "LAKE-503"
    exit_code = 50
    why = "A lake that disagrees with its own ledger must not be built upon."


class LakeOutdated(LakeError):
    code = "LAKE-504"
    exit_code = 50
    why = "What is stored was made by other declarations, and only adding to them happens by itself."


class LakeUnwritable(LakeError):
    code = "LAKE-505"
    exit_code = 50
    why = "What was being written is not there; what was there before is as it was."


class LakeMissing(LakeError):
    code = "LAKE-510"
    exit_code = 50
    why = "What is not there cannot be looked after; and an empty folder is most often a disk that is not mounted."


class TableUnknown(LakeError):
    code = "LAKE-518"
    exit_code = 50
    why = "A slip would do nothing, and look as if all was done."


class BackupUnfit(LakeError):
    code = "LAKE-519"
    exit_code = 50
    why = "A backup that is not whole, or is mixed with something else, is none when it is needed."


class QuestionRefused(LakeError):
    code = "LAKE-701"
    exit_code = 70
    why = "A question is one SELECT over bronze, silver, gold and audit."


class QuestionFailed(LakeError):
    code = "LAKE-702"
    exit_code = 70
    why = "The engine's own words are not repeated here, since they can quote a value of a row."


class RowUnknown(LakeError):
    code = "LAKE-711"
    exit_code = 70
    why = "A history is that of one row, by its key, or by the id that its source gives it as silver shows it."


class ChannelFailed(LakeError):
    code = "LAKE-712"
    exit_code = 70
    why = "What a run came upon stands in audit.alerts, and who should have heard of it has not."


class AlertUnknown(LakeError):
    code = "LAKE-713"
    exit_code = 70
    why = "What is acknowledged is told to nobody again, so that a slip would hide it."


class SqlUnfit(LakeError):
    """SQL of the declarations cannot be computed over what is there; it is named by where it stands."""

    code = "LAKE-402"
    exit_code = 40
    why = "It is SQL, and yet an engine cannot compute it here: a type does not suit it, or a column is not there."


class MartMistyped(LakeError):
    """A column of a mart comes out of its SELECT as another type than its page says."""

    code = "LAKE-403"
    exit_code = 40
    why = "Whoever reads the page counts on it: an amount that is a DOUBLE has lost its cents."


class MartLacking(LakeError):
    """A mart reads another one that could not be built."""

    code = "LAKE-404"
    exit_code = 40
    why = "Built of yesterday's figures, it would contradict what it stands beside."

    def __init__(self, mart: str, lacks: str) -> None:
        super().__init__(f"gold.{mart} reads {lacks}, which could not be built.", f"Mend {lacks} first.")


class VaultKeyWrong(LakeError):
    code = "LAKE-601"
    exit_code = 60
    why = "With another key every person would get a second token, and a second life in the lake."


def choose(word: str, known: Iterable[str]) -> str:
    """What to write instead of `word`: the nearest of what is known, then all of it, or the most alike of many."""
    known = sorted(set(known))
    if not known:
        return "There is none."
    near = get_close_matches(word, known, n=1)
    listed = known if len(known) <= LISTED else get_close_matches(word, known, n=LISTED, cutoff=0)
    more = f", and {len(known) - LISTED:,} more" if len(known) > LISTED else ""
    return (f"Did you mean '{near[0]}'? " if near else "") + f"Known are: {', '.join(listed)}{more}."
