"""Reports: folds over records. Every formula is in `callcenter.floor.figures`."""
