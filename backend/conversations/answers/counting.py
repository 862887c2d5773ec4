"""What the operator is told of answers: how they ended, what was wrong with them, how long each stage took."""

from collections.abc import Mapping

from backend.conversations.answers.endings import Outcome
from backend.core.metrics import Counter, Histogram

ANSWERS = Counter("chatsphere_answers_total", "Answers by how they ended.", ["state", "finish_reason"])
ERRORS = Counter("chatsphere_answer_errors_total", "Answers that failed, by the error's code.", ["code"])
DEGRADED = Counter("chatsphere_answers_degraded_total", "Answers quoted from passages in place of a failing model.")
REJECTED = Counter("chatsphere_citations_rejected_total", "Markers in answers that nothing stood behind.")
SENTENCES = Counter("chatsphere_answer_sentences_total", "Sentences of answers, by what the check found.", ["check"])
STAGES = Histogram("chatsphere_answer_stage_milliseconds", "From the question, or within the search for it.", "stage")

CHECKS = ("sentences", "supported", "unsupported", "withheld")


def count(outcome: Outcome, timings: Mapping[str, float]) -> None:
    """`timings` by stage, each named `…_ms`."""
    ANSWERS.add(1, outcome.state.value, outcome.finish_reason)
    REJECTED.add(outcome.citations_rejected)
    DEGRADED.add(outcome.degraded)
    if outcome.error is not None:
        ERRORS.add(1, outcome.error.code)
    checks = outcome.account.checks if outcome.account else {}
    for check in CHECKS:
        SENTENCES.add(checks.get(check, 0), check)
    for stage, milliseconds in timings.items():
        STAGES.observe(milliseconds, stage.removesuffix("_ms"))
