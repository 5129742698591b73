"""facemill enroll: one template of all images of a person."""
