# Every target sets up what it needs in .venv first; hub_config/bootstrap.py does the work and says what it does.
PYTHON ?= python3
NAME ?=
ONLY ?=
SITE ?=
ARGS ?=
TIMES ?=
FRESH ?=
STOCK ?=
.DEFAULT_GOAL := help
.PHONY: help need-python up test faults cluster bench lint images

help:
	@echo "make up [SITE=site.toml]   start Shopfloor; without SITE on this machine alone, at 127.0.0.1:8000"
	@echo "make test [ONLY=local]     all tests, with a real Slurm and a real browser; ONLY=local: without Slurm"
	@echo "make faults [TIMES=20] [ONLY=1-6]  what may go wrong, many times; goes on where it was cut, FRESH=1: anew"
	@echo "make faults STOCK=1 [ONLY=1-6]     the same on stock batchspawner, once: which rows need a guard"
	@echo "make cluster               a real Slurm on this machine, as root; Ctrl-C stops it"
	@echo "make bench NAME=...        one of tests/benchmarks"
	@echo "make lint                  ruff, prettier and tsc"
	@echo "make images                the Lab environment as an image, built as root"

up: need-python
	@exec $(PYTHON) hub_config/bootstrap.py up $(if $(SITE),--site "$(SITE)")

test: need-python
	@ONLY="$(ONLY)" exec $(PYTHON) hub_config/bootstrap.py test $(ARGS)

faults: need-python
	@TIMES="$(TIMES)" ONLY="$(ONLY)" FRESH="$(FRESH)" STOCK="$(STOCK)" exec $(PYTHON) hub_config/bootstrap.py faults

cluster: need-python
	@exec $(PYTHON) -m tests.cluster up $(if $(NAME),--name "$(NAME)")

bench: need-python
	@exec $(PYTHON) hub_config/bootstrap.py bench $(NAME) $(ARGS)

lint: need-python
	@exec $(PYTHON) hub_config/bootstrap.py lint

images: need-python
	@exec $(PYTHON) images/build.py

need-python:
	@command -v "$(PYTHON)" > /dev/null || { echo "shopfloor: there is no $(PYTHON); on Debian or Ubuntu: apt-get install python3 python3-venv" >&2; exit 1; }
