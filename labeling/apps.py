from django.apps import AppConfig


class LabelingConfig(AppConfig):
    name = "labeling"

    def ready(self) -> None:
        from guidelines import publish
        from labeling import effects

        publish.register(effects.labels_and_tasks)
