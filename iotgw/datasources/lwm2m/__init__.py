"""Devices of Lightweight M2M: registrations, what they are asked, and what they tell."""
