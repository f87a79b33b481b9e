# Everything runs from .venv, which is built when missing or older than what it is made of.
# PYTHON=/path/to/python chooses the interpreter it is built from, PIP_FLAGS goes to pip.

USABLE = import sys, venv, ensurepip; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))
PYTHON ?= $(shell for python in python3.11 python3.12 python3; do \
	$$python -c '$(USABLE)' >/dev/null 2>&1 && echo $$python && break; done)
TORCH := $(shell sed -n '/^torch==/p' constraints.txt)
EXTRAS := test,lint,compare,tblite,pyscf,torchsim,geodesic,make-data,postgres,grpc,voila,browser,docs
INSTALL := .venv/bin/python -m pip install -q $(PIP_FLAGS) -c constraints.txt
INSTALLED := .venv/.installed

.PHONY: help env demo test mutate lab page site lint clean
.DEFAULT_GOAL := help

help: ## Say what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile

env: $(INSTALLED) ## Build .venv, or bring it up to date

demo: $(INSTALLED) ## Run the notebooks; print where they are and the table of results
	.venv/bin/python -m gadlib demo

test: $(INSTALLED) ## Run the tests
	.venv/bin/python -m pytest -n 3 --dist worksteal tests

mutate: $(INSTALLED) ## Report which mutants of WING=hessians, cluster or solver the tests catch
	$(INSTALL) -e '.[mutation]'
	.venv/bin/python tests/mutation/run.py $(WING)

lab: $(INSTALLED) ## Open the notebooks in JupyterLab
	cd notebooks && ../.venv/bin/jupyter lab

page: $(INSTALLED) ## Serve notebooks/06_explore as a page of its own, with voila
	JUPYTER_PATH=gadlib/explore .venv/bin/voila --template=offline notebooks/06_explore.ipynb

site: $(INSTALLED) ## Make a web site of the pages and of executed notebooks, in runs/site
	.venv/bin/python docs/make_site.py

lint: $(INSTALLED) ## Check style, types, floors and that notebooks are stripped
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/pyright
	.venv/bin/lint-imports
	find notebooks -maxdepth 1 -name '*.ipynb' -exec .venv/bin/nbstripout --verify {} +

clean: ## Remove caches and build leftovers; .venv and runs stay
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name .venv -prune -o -name runs -prune -o \
		\( -name __pycache__ -o -name .ipynb_checkpoints \) -type d -prune -exec rm -rf {} +

# Parallelism is by process: one thread in each.
demo test mutate site: export OMP_NUM_THREADS = 1
demo test mutate site: export MKL_NUM_THREADS = 1
# Else each process would compile again what it imports.
unexport PYTHONDONTWRITEBYTECODE
# Otherwise pyright asks the network whether it is the latest.
lint: export PYRIGHT_PYTHON_IGNORE_WARNINGS = 1

# The stamp comes last, so an interrupted build is taken up again. torch comes first: the largest
# download fails early, and nothing else can choose its version.
$(INSTALLED): pyproject.toml constraints.txt Makefile
	@rm -f $@
	@if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then \
		python='$(PYTHON)'; \
		$${python:-false} -c '$(USABLE)' || { \
			echo 'gadlib needs Python 3.11 or 3.12 with the venv module' \
				'(Debian: apt-get install python3-venv); or say make PYTHON=/path/to/python' >&2; \
			exit 1; }; \
		echo "building .venv with $$python; this takes a few minutes"; \
		"$$python" -m venv --clear .venv; \
	fi
	$(INSTALL) '$(TORCH)'
	$(INSTALL) -e '.[$(EXTRAS)]'
	@touch $@
