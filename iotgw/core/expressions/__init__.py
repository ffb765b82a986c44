"""The path-and-condition language of presets: JMESPath, bounded and compiled."""
