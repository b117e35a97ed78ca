"""Who may work: gold items, the quizzes made of them, grades by reviewers, gold in the queue, practice."""
