from matplotlib import image
from matplotlib.figure import Figure

from tfspeech.tasks.word_recognition.plots import plot_confusion


def test_confusions_are_shares_of_what_was_said(tmp_path):
    scores = {"confusion": [[8, 2], [0, 0]], "labels": ["a", "b"], "accuracy": 0.8}
    plot_confusion(scores, tmp_path / "confusion.png")
    picture = image.imread(tmp_path / "confusion.png")
    assert picture.shape[0] >= 400
    # The darkest blue on the map is the share 0.8, not 1.
    assert picture[:, : picture.shape[1] * 3 // 4, 2].min() < 0.9


def test_counts_stand_in_the_cells(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(
        Figure, "savefig", lambda figure, *a, **k: figures.append(figure)
    )
    scores = {"confusion": [[8, 2], [0, 5]], "labels": ["a", "b"], "accuracy": 0.87}
    plot_confusion(scores, tmp_path / "confusion.png")
    cells = {text.get_position(): text.get_text() for text in figures[0].axes[0].texts}
    assert cells == {(0, 0): "8", (1, 0): "2", (1, 1): "5"}
