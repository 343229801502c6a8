from matplotlib import image

from tfspeech.tasks.word_recognition.plots import plot_confusion


def test_confusions_are_shares_of_what_was_said(tmp_path):
    scores = {"confusion": [[8, 2], [0, 0]], "labels": ["a", "b"], "accuracy": 0.8}
    plot_confusion(scores, tmp_path / "confusion.png")
    picture = image.imread(tmp_path / "confusion.png")
    assert picture.shape[0] >= 400
    # The darkest blue on the map is the share 0.8, not 1.
    assert picture[:, : picture.shape[1] * 3 // 4, 2].min() < 0.9
