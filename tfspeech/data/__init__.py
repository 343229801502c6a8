"""Corpora, the checked manifest and the audio cache.

`load_corpus` (in `tfspeech.data.corpora`) turns `fsdd:PATH` and the like into a
`Corpus`; `prepare` (in `tfspeech.data.store`) decodes it once, checks it and keeps its
samples in the cache.
"""
