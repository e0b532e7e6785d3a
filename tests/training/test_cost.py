import skops.io

from training.cost import measure_cost
from training.trial import Trial, build_examples


def test_the_cost_is_that_of_the_file_and_of_the_rows(trial: Trial) -> None:
    known = trial.training_set
    cost = measure_cost(trial.fitted.pipeline, known.table, known.matrix)
    assert cost.file_bytes == len(skops.io.dumps(trial.fitted.pipeline))
    assert 0 < cost.seconds_per_1000_rows < 1


def test_a_model_that_knows_fewer_columns_has_a_smaller_file(trial: Trial) -> None:
    known = trial.training_set
    examples = build_examples(known, trial.spec, known.matrix).take(trial.rows.positions[:30])
    small = trial.spec.build_pipeline().set_params(**trial.fitted.settings).fit(examples.matrix, examples.labels)
    costs = [measure_cost(one, known.table, known.matrix).file_bytes for one in (small, trial.fitted.pipeline)]
    assert costs[0] < costs[1]
