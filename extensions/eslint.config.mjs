// As the extension template's, with the rules that know types; prettier has its own command.
import jupyter from '@jupyter/eslint-plugin';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

export default defineConfig([
  { ignores: ['**/*.js', '**/*.mjs', 'lib', 'shopfloor_lab', '**/__tests__'] },
  tseslint.configs.recommendedTypeChecked,
  { plugins: { jupyter } },
  jupyter.configs.recommended,
  {
    languageOptions: { parserOptions: { project: 'tsconfig.json' } },
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'error',
      // Lumino's signals take a method and its object apart.
      '@typescript-eslint/unbound-method': 'off',
      curly: ['error', 'all'],
      eqeqeq: 'error',
      'prefer-arrow-callback': 'error',
      // All of it is 34 kB on the wire: one request costs less than several.
      'jupyter/prefer-lazy-imports': 'off',
      // A pane belongs to Lab's shell, a menu to its own closing: the rules do not see that.
      'jupyter/require-disposable-transfer': 'off'
    }
  }
]);
