"""What was known when: the lake, its tables, the features on them and the way back in time.

Nothing here knows models, scores or schedules.
"""
