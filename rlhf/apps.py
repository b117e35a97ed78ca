from django.apps import AppConfig


class RlhfConfig(AppConfig):
    name = "rlhf"
    verbose_name = "RLHF"

    def ready(self) -> None:
        from labeling import blast
        from rlhf import lineage

        blast.register(lineage.walk)
