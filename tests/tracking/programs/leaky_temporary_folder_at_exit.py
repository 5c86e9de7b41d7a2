import tempfile

folder = tempfile.TemporaryDirectory()  # LEAK temporary folder: closed at exit
