"""scikit-learn as the commands of a plain installation find it: not at all.

Only tests bring it. Keras imports it where it is there, for a second in every process.
"""

raise ImportError("Commands that tests start must do without scikit-learn, which only tests bring.")
