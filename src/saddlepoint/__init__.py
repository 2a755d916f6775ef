"""saddlepoint: find, fix, judge and explain the blind spots of neural networks."""
