"""Reading the files of a data set as RecBole does, with checks that name file, line and field."""
