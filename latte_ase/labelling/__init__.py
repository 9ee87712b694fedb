"""Labels by any ASE calculator: worker processes with a time limit, and a database that no kill can harm."""

from latte_ase.labelling.database import LabelDatabase
from latte_ase.labelling.tasks import Failure, ShortRun, Task
from latte_ase.labelling.workers import TeacherError, Workers

__all__ = ["Failure", "LabelDatabase", "ShortRun", "Task", "TeacherError", "Workers"]
