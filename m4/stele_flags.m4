# STELE_APPEND_COMPILE_FLAGS(VARIABLE, FLAGS)
# Append those of FLAGS to VARIABLE that the C compiler takes without a warning.
AC_DEFUN([STELE_APPEND_COMPILE_FLAGS], [
for stele_flag in $2; do
  stele_saved_cflags=$CFLAGS
  CFLAGS="$CFLAGS -Werror $stele_flag"
  AC_MSG_CHECKING([whether $CC takes $stele_flag])
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM()],
    [AC_MSG_RESULT([yes])
     $1="$$1 $stele_flag"],
    [AC_MSG_RESULT([no])])
  CFLAGS=$stele_saved_cflags
done
])

# STELE_APPEND_LINK_FLAGS(VARIABLE, FLAGS)
# The same for flags of the linker.
AC_DEFUN([STELE_APPEND_LINK_FLAGS], [
for stele_flag in $2; do
  stele_saved_ldflags=$LDFLAGS
  LDFLAGS="$LDFLAGS $stele_flag"
  AC_MSG_CHECKING([whether the linker takes $stele_flag])
  AC_LINK_IFELSE([AC_LANG_PROGRAM()],
    [AC_MSG_RESULT([yes])
     $1="$$1 $stele_flag"],
    [AC_MSG_RESULT([no])])
  LDFLAGS=$stele_saved_ldflags
done
])

# STELE_ENABLE(NAME, DEFAULT, OPTION, HELP)
# An --enable option that is yes or no; sets enable_NAME.
AC_DEFUN([STELE_ENABLE], [
AC_ARG_ENABLE([$1], [AS_HELP_STRING([$3], [$4])], [], [enable_[]m4_translit([$1], [-], [_])=$2])
AS_CASE([$enable_[]m4_translit([$1], [-], [_])], [yes|no], [],
  [AC_MSG_ERROR([--enable-$1 takes yes or no, not "$enable_[]m4_translit([$1], [-], [_])"])])
])
