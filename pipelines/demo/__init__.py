"""facemill demo: every command once, on synthetic faces."""
