"""What is promised of conversations and of what runs say."""
