"""facemill: distributed batch face recognition on Apache Beam and TensorFlow."""
