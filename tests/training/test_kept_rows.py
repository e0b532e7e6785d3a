import pyarrow as pa
import pyarrow.compute as pc

from feature_repo.lake import Lake
from training.kept_rows import build_kept_rows, compare_rows, find_unchanged, mark_rows, read_probabilities
from training.trial import Trial


def test_a_version_keeps_ids_digests_and_what_it_said_and_no_word(trial: Trial) -> None:
    kept, known = build_kept_rows(trial), trial.training_set.table
    assert kept.column_names == ["comment_id", "text_id", "row_digest", "said", "judged"]
    assert kept.column("comment_id").equals(known.column("comment_id"))
    assert (read_probabilities(kept.column("judged"), 3) == trial.probabilities).all()
    is_judged = pc.is_valid(kept.column("judged")).to_numpy()
    assert (is_judged == trial.training_set.is_held_out).all()
    said = read_probabilities(kept.filter(pc.is_valid(kept.column("judged"))).column("said"), 3)
    assert (said == trial.probabilities).all(), "the registered model is the one that was judged"


def test_digests_are_distinct_and_do_not_hang_on_the_batch_or_the_order(trial: Trial) -> None:
    table = trial.training_set.table
    digests = mark_rows(table).column("row_digest")
    assert pc.count_distinct(digests).as_py() == len(table)
    other = table.set_column(table.column_names.index("ingest_seq"), "ingest_seq", pa.array([7] * len(table)))
    assert mark_rows(other.take(list(reversed(range(len(table)))))).column("row_digest").equals(digests)


def test_rows_are_told_apart_by_what_became_of_them(lake: Lake, trial: Trial) -> None:
    """The lake is empty: what is not there any more was erased."""
    kept, table = build_kept_rows(trial), trial.training_set.table
    changed = table.column("label").to_pylist()
    changed[5] = "neutral" if changed[5] != "neutral" else "positive"
    now = table.set_column(table.column_names.index("label"), "label", pa.array(changed)).slice(3)
    stranger = now.slice(0, 1).set_column(0, "comment_id", pa.array(["stranger"]))
    marked = mark_rows(pa.concat_tables([now, stranger]))
    names = table.column("comment_id").to_pylist()
    found = compare_rows(lake, kept, marked, expired_ids=(names[0], "unknown"), labels=("sentiment", 1))
    assert (found.kept, found.found) == (len(table), len(table) - 2)
    assert found.changes == {
        "text expired": (names[0],),
        "comment erased, or its batch taken back": (names[1], names[2]),
        "says something else": (names[5],),
        "was not there": ("stranger",),
    }
    then, same = find_unchanged(kept, marked)
    assert then.column("comment_id").to_pylist() == same.column("comment_id").to_pylist() == names[3:5] + names[6:]


def test_nothing_is_named_if_nothing_changed(lake: Lake, trial: Trial) -> None:
    marked = mark_rows(trial.training_set.table)
    found = compare_rows(lake, build_kept_rows(trial), marked, expired_ids=(), labels=("sentiment", 1))
    assert found.changes == {}
