"""Face detection, the choice of the face in a photo, and its alignment and crop."""
