"""`facemill detect`: the faces of photos, with boxes and landmarks."""
