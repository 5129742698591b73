"""Random changes of training images, drawn by epoch, image_id and copy of each record."""
