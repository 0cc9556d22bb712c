"""What starts work: uploads, and later review requests, annotations, drift, retention."""
