# What a user calls. `__init__.py` reads this file: a name that is added here is offered at once.

from . import calculators as calculators
from . import report as report
from .ase.potential import Potential as Potential
from .ase.saddle_search import SaddleSearch as SaddleSearch
from .benchmarks.solvers import compare as compare
from .files.writing import write_json as write_json
from .paths.barriers import eyring_rate as eyring_rate
from .paths.find import find as find
from .paths.follow import follow as follow
from .paths.frequencies import frequencies as frequencies
from .paths.optimizer import IRC as IRC
from .paths.saddles import find_saddle as find_saddle
from .paths.thermochemistry import ideal_gas as ideal_gas
from .paths.thermochemistry import thermochemistry as thermochemistry
from .report.exchange.export import export as export
from .screening.records import Record as Record
from .screening.records import read_records as read_records
from .screening.screen import screen as screen
from .screening.search import search as search
from .screening.trajectories import repeat_search as repeat_search
from .settings.benchmarks import BenchmarkSettings as BenchmarkSettings
from .settings.benchmarks import GrowthSettings as GrowthSettings
from .settings.hyperparameters import GadHyperparameters as GadHyperparameters
from .settings.hyperparameters import TrustHyperparameters as TrustHyperparameters
from .settings.reading import InputError as InputError
from .settings.results import ExportSettings as ExportSettings
from .settings.results import FrequencySettings as FrequencySettings
from .settings.results import PathSettings as PathSettings
from .settings.results import ReportSettings as ReportSettings
from .settings.searches import FindSettings as FindSettings
from .settings.searches import GuessSettings as GuessSettings
from .settings.searches import ScreenSettings as ScreenSettings
from .settings.searches import SearchSettings as SearchSettings
from .settings.studies import TuneSettings as TuneSettings
from .settings.studies import ValidateSettings as ValidateSettings
from .tuning.seeds import tune_seeds as tune_seeds
from .tuning.tune import tune as tune
from .tuning.validation import validate as validate

__version__: str
