"""The measurement of the embedded models: judges trained on renders, and what they are asked."""
