"""A store whose contents are sealed: what a codec does to the values of its columns, and to the bytes of attachments."""
