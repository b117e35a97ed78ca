"""The pages of those who run a project: people, prompts, progress, quality, settings, the audit log."""
