"""The usual way to serve a model: FastAPI, a pipeline from joblib, and nothing else.

No keys, limits, features of channels, words, lineage or following of a champion: a TF-IDF pipeline on the text alone.
"""

import os
import sys
from pathlib import Path

import joblib
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

_FILE = "BARE_PIPELINE"


class Texts(BaseModel):
    texts: list[str]


class Answer(BaseModel):
    label: str
    probabilities: dict[str, float]


def fit_bare(texts: list[str], labels: list[str], file: Path) -> None:
    """Fit words and pairs of words of the same comments, as the tutorials do, and keep the pipeline with joblib."""
    pipeline = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(class_weight="balanced")
    )
    joblib.dump(pipeline.fit(texts, labels), file)


def build_bare() -> FastAPI:
    app = FastAPI()
    pipeline: Pipeline = joblib.load(os.environ[_FILE])
    classes = [str(name) for name in pipeline.classes_]

    @app.post("/score")
    def score(asked: Texts) -> list[Answer]:
        found = pipeline.predict_proba(asked.texts)
        return [
            Answer(label=classes[row.argmax()], probabilities=dict(zip(classes, row.tolist(), strict=True)))
            for row in found
        ]

    return app


if __name__ == "__main__":
    file, port, workers = sys.argv[1:]
    os.environ[_FILE] = file
    name = "tests.benchmarks.service_sides:build_bare"
    uvicorn.run(name, factory=True, port=int(port), workers=int(workers), access_log=False, log_level="warning")
