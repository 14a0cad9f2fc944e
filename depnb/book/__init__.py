"""Pages of the book that are made from data files: claims, published results, the authors' commands beside ours."""
