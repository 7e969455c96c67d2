from tests.store.conftest import bench, workspace

__all__ = ["bench", "workspace"]
